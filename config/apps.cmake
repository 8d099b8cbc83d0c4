# SPDX-License-Identifier: BSD-3-Clause
# The programs: the command mpmap, plugins, examples and demonstrations. They use the library as anybody would.

# Makes a program `target` in bin/`folder`, which finds libmpmap from where it stands.
function(mpmap_program target folder)
    add_executable(${target} ${ARGN})
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/apps)
    target_link_libraries(${target} PRIVATE mpmap Threads::Threads ${CMAKE_DL_LIBS} m)
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin/${folder})
    # What is to be copied does without.
    if(NOT folder)
        target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
    endif()
endfunction()

# What programs share.
file(GLOB support_sources CONFIGURE_DEPENDS apps/support/*.c)
add_library(app_support OBJECT ${support_sources})
target_include_directories(app_support PRIVATE apps)
target_link_libraries(app_support PRIVATE mpmap)
target_compile_definitions(app_support PRIVATE _GNU_SOURCE)

set(wire_parts wire_main.c bench.c pingpong.c)
set(step_parts step_main.c step_nodes.c step_work.c bench.c)
file(GLOB command_sources CONFIGURE_DEPENDS apps/mpmap/*.c)
list(FILTER command_sources EXCLUDE REGEX "/(wire_main|step_main|step_nodes)\\.c$")
file(GLOB simulate_sources CONFIGURE_DEPENDS apps/mpmap/simulate*.c)
if(command_sources)
    mpmap_program(mpmap_command "" ${command_sources})
    target_link_libraries(mpmap_command PRIVATE app_support)
    set_target_properties(
        mpmap_command PROPERTIES OUTPUT_NAME mpmap INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
    # `bench` compares with OpenMP where the compiler has it.
    find_package(OpenMP COMPONENTS C)
    if(OpenMP_C_FOUND)
        target_link_libraries(mpmap_command PRIVATE OpenMP::OpenMP_C)
    endif()
    install(TARGETS mpmap_command)
endif()
if(simulate_sources)
    # `simulate` drives the very lease table of the library, which the library does not export: a copy, whose
    # other symbols are local, lest its mpm_error() take the place of the library's.
    set_source_files_properties(
        ${simulate_sources} PROPERTIES INCLUDE_DIRECTORIES "${PROJECT_SOURCE_DIR}/lib;${PROJECT_SOURCE_DIR}/lib/include")
    add_library(lease_parts OBJECT
        ${PROJECT_SOURCE_DIR}/lib/pool/driver/lease.c
        ${PROJECT_SOURCE_DIR}/lib/base/c_locale.c
        ${PROJECT_SOURCE_DIR}/lib/base/error.c
        ${PROJECT_SOURCE_DIR}/lib/base/text.c)
    set_target_properties(lease_parts PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
    target_include_directories(lease_parts PRIVATE ${PROJECT_SOURCE_DIR}/lib ${PROJECT_SOURCE_DIR}/lib/include)
    target_compile_definitions(lease_parts PRIVATE _GNU_SOURCE)
    set(lease_object ${PROJECT_BINARY_DIR}/lease.o)
    add_custom_command(
        OUTPUT ${lease_object}
        COMMAND ${CMAKE_LINKER} -r -o ${lease_object} $<TARGET_OBJECTS:lease_parts>
        COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=lease_* ${lease_object}
        DEPENDS lease_parts $<TARGET_OBJECTS:lease_parts>
        COMMAND_EXPAND_LISTS VERBATIM
        COMMENT "Joining the lease table for mpmap simulate")
    set_source_files_properties(${lease_object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
    target_sources(mpmap_command PRIVATE ${lease_object})
endif()

# `mpmap bench wire` runs it with two ranks. It measures bare MPI as well, so it and mpmap-step are the programs here
# that call it.
if(TARGET mpmap_command)
    list(TRANSFORM wire_parts PREPEND apps/mpmap/)
    mpmap_program(mpmap_wire "" ${wire_parts})
    target_link_libraries(mpmap_wire PRIVATE app_support MPI::MPI_C)
    set_target_properties(
        mpmap_wire PROPERTIES OUTPUT_NAME mpmap-wire INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
    install(TARGETS mpmap_wire)
endif()

# `mpmap bench step` runs it: the same steps by OpenMP, and by bare MPI; and steps over two nodes.
if(TARGET mpmap_command)
    list(TRANSFORM step_parts PREPEND apps/mpmap/)
    mpmap_program(mpmap_step "" ${step_parts})
    target_link_libraries(mpmap_step PRIVATE app_support MPI::MPI_C)
    if(OpenMP_C_FOUND)
        target_link_libraries(mpmap_step PRIVATE OpenMP::OpenMP_C)
    endif()
    set_target_properties(
        mpmap_step PROPERTIES OUTPUT_NAME mpmap-step INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
    install(TARGETS mpmap_step)
endif()

file(GLOB plugin_sources CONFIGURE_DEPENDS apps/plugins/*.c)
foreach(source IN LISTS plugin_sources)
    get_filename_component(name ${source} NAME_WE)
    add_library(plugin_${name} MODULE ${source})
    target_link_libraries(plugin_${name} PRIVATE mpmap m)
    # A task is exported, and nobody includes it: it has no prototype.
    target_compile_options(plugin_${name} PRIVATE -Wno-missing-prototypes)
    set_target_properties(
        plugin_${name} PROPERTIES PREFIX "" OUTPUT_NAME ${name}
                                  LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/plugins)
endforeach()

file(GLOB example_sources CONFIGURE_DEPENDS apps/examples/*.c)
foreach(source IN LISTS example_sources)
    get_filename_component(name ${source} NAME_WE)
    mpmap_program(example_${name} examples ${source})
    set_target_properties(example_${name} PROPERTIES OUTPUT_NAME ${name})
    # One of them starts MPI itself.
    file(STRINGS ${source} includes_mpi REGEX "^#include <mpi.h>")
    if(includes_mpi)
        target_link_libraries(example_${name} PRIVATE MPI::MPI_C)
    endif()
endforeach()

pkg_check_modules(png IMPORTED_TARGET libpng)
pkg_check_modules(jpeg IMPORTED_TARGET libjpeg)
file(GLOB demo_sources CONFIGURE_DEPENDS apps/demo/*.c)
if(demo_sources AND NOT (png_FOUND AND jpeg_FOUND))
    message(STATUS "libpng or libjpeg is missing: the demonstrations are left out")
    set(demo_sources)
endif()
foreach(source IN LISTS demo_sources)
    get_filename_component(name ${source} NAME_WE)
    mpmap_program(demo_${name} demo ${source})
    target_link_libraries(demo_${name} PRIVATE mpmap_serial_hdf5 PkgConfig::png PkgConfig::jpeg)
    set_target_properties(demo_${name} PROPERTIES OUTPUT_NAME ${name})
endforeach()

# mpmap_app(name [LIBRARIES TARGET…] [MODULES "PKG_CONFIG_NAME DEBIAN_PACKAGE"…] [HEADERS "HEADER LIBRARY DEBIAN_PACKAGE"…]):
# the program mpmap-<name>, of apps/<name>/*.c, with its man page. Where a library that it needs is missing, it is left
# out, and one line says which package has it. LIBRARIES are targets. MODULES are known to pkg-config; HEADERS, which
# are not, are found by a header and the library's name.
function(mpmap_app name)
    cmake_parse_arguments(PARSE_ARGV 1 app "" "" "LIBRARIES;MODULES;HEADERS")
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/apps/${name}/*.c)
    if(NOT sources)
        return()
    endif()
    set(libraries ${app_LIBRARIES})
    set(missing)
    foreach(module IN LISTS app_MODULES)
        separate_arguments(words UNIX_COMMAND "${module}")
        list(GET words 0 module_name)
        list(GET words 1 package)
        string(MAKE_C_IDENTIFIER "app_${module_name}" prefix)
        pkg_check_modules(${prefix} QUIET IMPORTED_TARGET ${module_name})
        if(${prefix}_FOUND)
            list(APPEND libraries PkgConfig::${prefix})
        else()
            list(APPEND missing ${package})
        endif()
    endforeach()
    foreach(header IN LISTS app_HEADERS)
        separate_arguments(words UNIX_COMMAND "${header}")
        list(GET words 0 header_name)
        list(GET words 1 library_name)
        list(GET words 2 package)
        find_path(app_${library_name}_include ${header_name})
        find_library(app_${library_name}_library ${library_name})
        mark_as_advanced(app_${library_name}_include app_${library_name}_library)
        if(app_${library_name}_include AND app_${library_name}_library)
            list(APPEND libraries ${app_${library_name}_library})
            list(APPEND includes ${app_${library_name}_include})
        else()
            list(APPEND missing ${package})
        endif()
    endforeach()
    if(missing)
        list(JOIN missing ", " missing)
        message(STATUS "mpmap-${name} is left out; it needs the Debian package: ${missing}")
        return()
    endif()
    mpmap_program(app_${name} "" ${sources})
    target_include_directories(app_${name} SYSTEM PRIVATE ${includes})
    target_link_libraries(app_${name} PRIVATE app_support ${libraries})
    set_target_properties(
        app_${name} PROPERTIES OUTPUT_NAME mpmap-${name} INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
    install(TARGETS app_${name})
    install(FILES ${PROJECT_SOURCE_DIR}/apps/${name}/mpmap-${name}.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endfunction()

mpmap_app(tally LIBRARIES mpmap_serial_hdf5 MODULES "zlib zlib1g-dev" "libzstd libzstd-dev")
mpmap_app(photos LIBRARIES mpmap_serial_hdf5 MODULES "vips libvips-dev")
mpmap_app(crawl LIBRARIES mpmap_serial_hdf5
    MODULES "libcurl libcurl4-openssl-dev" "gumbo libgumbo-dev" "libdeflate libdeflate-dev" "libisal libisal-dev"
    "libidn2 libidn2-dev")
mpmap_app(tune LIBRARIES mpmap_serial_hdf5 HEADERS "libsvm/svm.h svm libsvm-dev" "linear.h linear liblinear-dev")
