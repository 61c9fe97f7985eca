# Unity builds (CMAKE_UNITY_BUILD) compile several files at once and take half the time of a cold
# build: the preset release has them, and the others where `./dev test` runs in CI. Do not use them
# while working on a file: normal builds show that it includes what it uses.
#
# Most of the time goes into headers, so the more files share them the better; but two cores need
# several batches each. `./dev check` has all files of a library or program in one.
set(CMAKE_UNITY_BUILD_BATCH_SIZE 24 CACHE STRING "Files that a unity build compiles at once")

# Files whose local names or headers clash with those of a neighbour are still compiled separately.
function(apart_in_unity_builds)
  set_property(SOURCE ${ARGN} PROPERTY SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
