# Unity builds (CMAKE_UNITY_BUILD, which `./dev test` sets in CI) compile several files at once and
# take 60 % of the time of a cold build. Whoever works on a file is better off without.
option(SNI_UNITY_TESTS "Unity builds of the tests and the laboratory alone" OFF)

# Files whose local names clash with those of a neighbour are compiled by themselves all the same.
# Most of the time goes into headers, so the more files share them the better; but two cores want
# several batches each.
set(CMAKE_UNITY_BUILD_BATCH_SIZE 24)

function(apart_in_unity_builds)
  set_property(SOURCE ${ARGN} PROPERTY SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
