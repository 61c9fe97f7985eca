# Unity builds (CMAKE_UNITY_BUILD) compile several files at once and take half the time of a cold
# build: the preset release has them, and the others where `./dev test` runs in CI. Whoever works on
# a file is better off without, and sees there that it includes what it uses.
#
# Most of the time goes into headers, so the more files share them the better; but two cores want
# several batches each.
set(CMAKE_UNITY_BUILD_BATCH_SIZE 24)

# Files whose local names clash with those of a neighbour, or whose headers do, are compiled by
# themselves all the same.
function(apart_in_unity_builds)
  set_property(SOURCE ${ARGN} PROPERTY SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
