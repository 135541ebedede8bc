# coze_find_library(NAME HEADER ADVICE PROGRAM): finds a C library and makes the target coze_NAME of it. Inside libcoze.so
# where its archive allows that, so that the library needs no file more on the machine that it runs on; else shared.
# HEADER is what programs include, PROGRAM is C text that uses the archive, ADVICE says what to do when there is none.
include(CheckCSourceCompiles)

function(coze_find_library name header advice program)
  string(TOUPPER ${name} upper)
  find_path(COZE_${upper}_INCLUDE ${header})
  find_library(COZE_${upper}_ARCHIVE ${CMAKE_STATIC_LIBRARY_PREFIX}${name}${CMAKE_STATIC_LIBRARY_SUFFIX})
  find_library(COZE_${upper}_SHARED ${CMAKE_SHARED_LIBRARY_PREFIX}${name}${CMAKE_SHARED_LIBRARY_SUFFIX})
  mark_as_advanced(COZE_${upper}_INCLUDE COZE_${upper}_ARCHIVE COZE_${upper}_SHARED)
  set(include ${COZE_${upper}_INCLUDE})
  set(archive ${COZE_${upper}_ARCHIVE})
  set(shared ${COZE_${upper}_SHARED})
  if(NOT include OR NOT (archive OR shared))
    message(FATAL_ERROR "${name} was not found. ${advice}")
  endif()

  # Position-independent code is what a shared library can be made of.
  if(archive)
    set(CMAKE_REQUIRED_INCLUDES ${include})
    set(CMAKE_REQUIRED_LIBRARIES ${archive})
    set(CMAKE_REQUIRED_LINK_OPTIONS ${CMAKE_SHARED_LIBRARY_CREATE_C_FLAGS})
    set(CMAKE_REQUIRED_FLAGS -fPIC)
    check_c_source_compiles("#include <${header}>
      ${program}
      int main(void) { return 0; }" COZE_${upper}_EMBEDDABLE)
  endif()

  add_library(coze_${name} INTERFACE)
  target_include_directories(coze_${name} SYSTEM INTERFACE ${include})
  if(COZE_${upper}_EMBEDDABLE)
    target_link_libraries(coze_${name} INTERFACE ${archive})
  elseif(shared)
    target_link_libraries(coze_${name} INTERFACE ${shared})
  else()
    message(FATAL_ERROR "${archive} is not position independent, and there is no shared ${name}. ${advice}")
  endif()
endfunction()
