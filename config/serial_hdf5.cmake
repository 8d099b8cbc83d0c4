# SPDX-License-Identifier: BSD-3-Clause
# Makes the target mpmap_serial_hdf5, and mpmap_serial_hdf5_includes and mpmap_serial_hdf5_libraries: the
# folders of its headers and the paths of its libraries. Serial HDF5 stands beside a parallel one under a name
# of its own on Debian; elsewhere what find_package prefers (the serial one too) is taken.
if(NOT TARGET mpmap_serial_hdf5)
    find_package(PkgConfig QUIET)
    if(PkgConfig_FOUND)
        pkg_check_modules(MPMAP_HDF5 QUIET hdf5-serial)
    endif()
    if(MPMAP_HDF5_FOUND)
        set(mpmap_serial_hdf5_includes ${MPMAP_HDF5_INCLUDE_DIRS})
        set(mpmap_serial_hdf5_libraries ${MPMAP_HDF5_LINK_LIBRARIES})
    else()
        find_package(HDF5 REQUIRED COMPONENTS C)
        set(mpmap_serial_hdf5_includes ${HDF5_C_INCLUDE_DIRS})
        set(mpmap_serial_hdf5_libraries ${HDF5_C_LIBRARIES})
    endif()
    add_library(mpmap_serial_hdf5 INTERFACE IMPORTED)
    set_target_properties(
        mpmap_serial_hdf5 PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${mpmap_serial_hdf5_includes}"
                                     INTERFACE_LINK_LIBRARIES "${mpmap_serial_hdf5_libraries}")
endif()
