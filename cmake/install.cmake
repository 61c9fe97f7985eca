# Further files of `cmake --install`: manual pages, completions, the unit with its user, and
# examples. The configuration itself belongs to the administrator: nothing is written below /etc.
configure_file(contrib/sni-proxy.service.in ${PROJECT_BINARY_DIR}/sni-proxy.service.in COPYONLY)
configure_file(contrib/man/sni-proxy.1 ${PROJECT_BINARY_DIR}/sni-proxy.1 @ONLY)
set(config_man ${PROJECT_BINARY_DIR}/sni-proxy.toml.5)
add_custom_command(OUTPUT ${config_man}
  COMMAND ${CMAKE_COMMAND} -DEXAMPLE=${PROJECT_SOURCE_DIR}/config.toml.example
    -DVERSION=${PROJECT_VERSION} -DOUT=${config_man}
    -P ${PROJECT_SOURCE_DIR}/cmake/config_man.cmake
  DEPENDS config.toml.example cmake/config_man.cmake
  COMMENT "Writing sni-proxy.toml(5)")
add_custom_target(man ALL DEPENDS ${config_man})

install(FILES ${PROJECT_BINARY_DIR}/sni-proxy.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${config_man} DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES contrib/completions/sni-proxy.bash
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME sni-proxy)
install(FILES contrib/completions/_sni-proxy
  DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES contrib/completions/sni-proxy.fish
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES config.toml.example contrib/seccomp.json contrib/grafana.json contrib/alerts.yml
  contrib/logrotate
  DESTINATION ${CMAKE_INSTALL_DATADIR}/sni-proxy)
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES contrib/sysusers.conf DESTINATION lib/sysusers.d RENAME sni-proxy.conf)
# Writes one of the units. The prefix may be given only at installation. OWN: what goes with the unit
# when it stops, so that of an instance is not inside that of another; KEPT: what stays.
function(install_unit name)
  cmake_parse_arguments(unit "" "CONFIG;TITLE;OWN;KEPT" "" ${ARGN})
  install(CODE "
    file(READ \"${PROJECT_BINARY_DIR}/sni-proxy.service.in\" unit)
    string(REPLACE \"@BIN@\" \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\" unit \"\${unit}\")
    string(REPLACE \"@CONFIG@\" \"${unit_CONFIG}\" unit \"\${unit}\")
    string(REPLACE \"@TITLE@\" \"${unit_TITLE}\" unit \"\${unit}\")
    string(REPLACE \"@OWN@\" \"${unit_OWN}\" unit \"\${unit}\")
    string(REPLACE \"@KEPT@\" \"${unit_KEPT}\" unit \"\${unit}\")
    set(place \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/systemd/system\")
    file(MAKE_DIRECTORY \"\${place}\")
    file(WRITE \"\${place}/${name}\" \"\${unit}\")
    message(STATUS \"Installing: \${place}/${name}\")")
endfunction()
install_unit(sni-proxy.service CONFIG config TITLE "" OWN sni-proxy KEPT sni-proxy)
install_unit(sni-proxy@.service CONFIG %i TITLE " (%i)" OWN sni-proxy-%i KEPT sni-proxy/%i)
