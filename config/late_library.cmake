# SPDX-License-Identifier: BSD-3-Clause
# late_library(target TITLE includes libraries name): makes the interface target `target`, for sources that load
# a library late (lib/base/library.h). They get the folders `includes` of its headers, and TITLE_SONAME and
# TITLE_PATH: the soname of the shared library lib`name`… among the paths `libraries`, and where it stands.
function(late_library target title includes libraries name)
    set(shared ${libraries})
    list(FILTER shared INCLUDE REGEX "/lib${name}[^/]*\\.so[.0-9]*$")
    if(NOT shared)
        message(FATAL_ERROR "${title} is loaded at run time: a shared library is needed, and none is in: ${libraries}")
    endif()
    list(GET shared 0 library)
    get_filename_component(library ${library} REALPATH)
    execute_process(COMMAND ${CMAKE_READELF} -d ${library} OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
    if(NOT dynamic MATCHES "SONAME[^\n]*\\[([^]\n]+)\\]")
        message(FATAL_ERROR "${title}: ${library} has no soname")
    endif()
    set(soname ${CMAKE_MATCH_1})
    get_filename_component(folder ${library} DIRECTORY)
    add_library(${target} INTERFACE)
    target_include_directories(${target} SYSTEM INTERFACE ${includes})
    target_compile_definitions(
        ${target} INTERFACE ${title}_SONAME="${soname}" ${title}_PATH="${folder}/${soname}")
endfunction()
