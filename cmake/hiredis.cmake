# Finds hiredis and makes the target coze_hiredis of it. Inside libcoze.so where its archive allows that, so that the
# library needs no file more on the machine that it runs on; else as a shared library.
include(CheckCSourceCompiles)

find_path(COZE_HIREDIS_INCLUDE hiredis/hiredis.h)
find_library(COZE_HIREDIS_ARCHIVE ${CMAKE_STATIC_LIBRARY_PREFIX}hiredis${CMAKE_STATIC_LIBRARY_SUFFIX})
find_library(COZE_HIREDIS_SHARED ${CMAKE_SHARED_LIBRARY_PREFIX}hiredis${CMAKE_SHARED_LIBRARY_SUFFIX})
mark_as_advanced(COZE_HIREDIS_INCLUDE COZE_HIREDIS_ARCHIVE COZE_HIREDIS_SHARED)
if(NOT COZE_HIREDIS_INCLUDE OR NOT (COZE_HIREDIS_ARCHIVE OR COZE_HIREDIS_SHARED))
  message(FATAL_ERROR "hiredis 0.14 or later was not found. Install it (Debian: apt-get install libhiredis-dev), "
                      "or build without the Redis store: -DCOZE_REDIS=OFF")
endif()

# Position-independent code is what a shared library can be made of.
if(COZE_HIREDIS_ARCHIVE)
  set(CMAKE_REQUIRED_INCLUDES ${COZE_HIREDIS_INCLUDE})
  set(CMAKE_REQUIRED_LIBRARIES ${COZE_HIREDIS_ARCHIVE})
  set(CMAKE_REQUIRED_LINK_OPTIONS ${CMAKE_SHARED_LIBRARY_CREATE_C_FLAGS})
  set(CMAKE_REQUIRED_FLAGS -fPIC)
  check_c_source_compiles("
    #include <hiredis/hiredis.h>
    void *use_it(void); void *use_it(void) { char *text; redisFormatCommandArgv(&text, 0, 0, 0); return redisReaderCreate(); }
    int main(void) { return 0; }" COZE_HIREDIS_EMBEDDABLE)
  unset(CMAKE_REQUIRED_INCLUDES)
  unset(CMAKE_REQUIRED_LIBRARIES)
  unset(CMAKE_REQUIRED_LINK_OPTIONS)
  unset(CMAKE_REQUIRED_FLAGS)
endif()

add_library(coze_hiredis INTERFACE)
target_include_directories(coze_hiredis SYSTEM INTERFACE ${COZE_HIREDIS_INCLUDE})
if(COZE_HIREDIS_EMBEDDABLE)
  target_link_libraries(coze_hiredis INTERFACE ${COZE_HIREDIS_ARCHIVE})
elseif(COZE_HIREDIS_SHARED)
  target_link_libraries(coze_hiredis INTERFACE ${COZE_HIREDIS_SHARED})
else()
  message(FATAL_ERROR "${COZE_HIREDIS_ARCHIVE} is not position independent, and there is no shared hiredis. Install "
                      "one, or build without the Redis store: -DCOZE_REDIS=OFF")
endif()
