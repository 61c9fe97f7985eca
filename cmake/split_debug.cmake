# split_debug(target): moves the symbols of an optimised program into <program>.debug next to it,
# compressed. gdb, perf and coredumpctl find them there by the link that stays in the program, or
# under /usr/lib/debug once installed.
find_program(OBJCOPY NAMES ${CMAKE_OBJCOPY} objcopy)

function(split_debug target)
  if(NOT CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo" OR SNI_SANITIZE OR NOT OBJCOPY)
    return()
  endif()
  set(symbols $<TARGET_FILE_NAME:${target}>.debug)
  add_custom_command(TARGET ${target} POST_BUILD WORKING_DIRECTORY $<TARGET_FILE_DIR:${target}>
    COMMAND ${OBJCOPY} --only-keep-debug --compress-debug-sections=zlib $<TARGET_FILE_NAME:${target}> ${symbols}
    COMMAND ${OBJCOPY} --strip-all --add-gnu-debuglink=${symbols} $<TARGET_FILE_NAME:${target}>
    VERBATIM)
  install(FILES $<TARGET_FILE:${target}>.debug COMPONENT debug
    DESTINATION ${CMAKE_INSTALL_PREFIX}/lib/debug${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR})
endfunction()
