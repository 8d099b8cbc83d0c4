# SPDX-License-Identifier: BSD-3-Clause
# Sourced by scripts that start runs: root may, and there may be more ranks than CPUs, none of which is bound. Open MPI
# reads OMPI_MCA_… up to version 4, and PRTE_MCA_… from 5 on. For ctest the same stands in tests/CMakeLists.txt.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe PRTE_MCA_hwloc_default_binding_policy=none
