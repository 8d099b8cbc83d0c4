# SPDX-License-Identifier: BSD-3-Clause
"""The same grids by scikit-learn, on two cores: sklearn_grid.py svc|linear DATA.svm"""
import sys
import warnings

import numpy
from sklearn.datasets import load_svmlight_file
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC, LinearSVC

warnings.simplefilter("ignore")
x, y = load_svmlight_file(sys.argv[2])
if sys.argv[1] == "svc":
    ranges = {"C": 2.0 ** numpy.arange(-5, 16, 2), "gamma": 2.0 ** numpy.arange(3, -16, -2)}
    grid = GridSearchCV(SVC(), ranges, cv=5, n_jobs=2)
    grid.fit(x.toarray(), y)
else:
    machine = LinearSVC(dual=False, fit_intercept=False, tol=0.01)
    grid = GridSearchCV(machine, {"C": 2.0 ** numpy.arange(-2, 3, 2)}, cv=3, n_jobs=2)
    grid.fit(x, y)
print(grid.best_params_, "accuracy %.5f" % grid.best_score_)
