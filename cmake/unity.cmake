# Unity builds (CMAKE_UNITY_BUILD) compile several files at once and take half the time of a cold
# build: the preset release has them, and the others where `./dev test` runs in CI. Do not use them
# while working on a file: normal builds show that it includes what it uses.
#
# Most of the time goes into headers and into templates that every batch instantiates again, so the
# fewer batches the better. Two cores need two of a large library: batches of 24 files took 157 s for
# the proxy, these take 113 s. `./dev check` has one batch for all.
set(SNI_UNITY_BATCHES 2 CACHE STRING "Parts in which a unity build compiles a library")
set(SNI_UNITY_FILES_MIN 40 CACHE STRING "Files that are not worth a second part")

# Divides the files of a library or program evenly.
function(batch_for_unity_builds target)
  get_target_property(sources ${target} SOURCES)
  list(LENGTH sources files)
  math(EXPR size "(${files} + ${SNI_UNITY_BATCHES} - 1) / ${SNI_UNITY_BATCHES}")
  if(size LESS SNI_UNITY_FILES_MIN)
    set(size ${SNI_UNITY_FILES_MIN})
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD_BATCH_SIZE ${size})
endfunction()

# Files whose local names or headers clash with those of a neighbour are still compiled separately.
function(apart_in_unity_builds)
  set_property(SOURCE ${ARGN} PROPERTY SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

# With sanitizers optimising takes half of the time. This leaves it out for targets whose speed
# nothing waits for; the libraries under test are compiled as the preset says.
function(compile_fast_under_sanitizers target)
  if(SNI_SANITIZE)
    target_compile_options(${target} PRIVATE -O0)
  endif()
endfunction()
