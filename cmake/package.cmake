# `./dev package`: Debian packages by cpack, one of the program and one of its debug symbols.
# Besides the files of `cmake --install` a package has its own configuration, the files required by
# Debian's policy, and scripts that start the service.
set(debian ${PROJECT_SOURCE_DIR}/contrib/debian)
set(doc ${CMAKE_INSTALL_DATADIR}/doc/sni-proxy)
install(FILES ${debian}/config.toml DESTINATION /etc/sni-proxy)
install(FILES ${debian}/conf.d.README DESTINATION /etc/sni-proxy/conf.d RENAME README)
install(FILES contrib/logrotate DESTINATION /etc/logrotate.d RENAME sni-proxy)
# With the distribution's release, so that an upgrade of the system replaces a package that was built
# for the old one's libraries: 0.2.0+debian12 is older than 0.2.0+debian13.
cmake_host_system_information(RESULT os QUERY DISTRIB_INFO)
set(package_version "${PROJECT_VERSION}+${os_ID}${os_VERSION_ID}")
configure_file(${debian}/changelog ${PROJECT_BINARY_DIR}/changelog @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/changelog DESTINATION ${doc})
# Policy 12.1, 12.5 and 12.7: compressed without a time, and the licence under one name alone.
install(CODE "
  set(share \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}\")
  file(RENAME \"\${share}/doc/sni-proxy/LICENSE\" \"\${share}/doc/sni-proxy/copyright\")
  execute_process(COMMAND gzip -9nf \"\${share}/man/man1/sni-proxy.1\"
    \"\${share}/man/man5/sni-proxy.toml.5\" \"\${share}/doc/sni-proxy/changelog\"
    COMMAND_ERROR_IS_FATAL ANY)")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME sni-proxy)
set(CPACK_PACKAGE_VERSION ${package_version})
set(CPACK_PACKAGE_CONTACT "the sni-proxy authors <maintainers@sni-proxy.example>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "TLS-SNI passthrough proxy")
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_INSTALL_CMAKE_PROJECTS "${PROJECT_BINARY_DIR};sni-proxy;Unspecified;/")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS
  "systemd | systemd-standalone-sysusers, init-system-helpers (>= 1.52)")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS logrotate)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Puts many TLS services behind one address and port. It reads the server
name of each connection, looks it up in its routes and relays the bytes to
that backend. It never decrypts.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${debian}/postinst ${debian}/prerm ${debian}/postrm ${debian}/conffiles)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
# sni-proxy-dbgsym, in a file that ends with .ddeb.
set(CPACK_DEBIAN_DEBUGINFO_PACKAGE ON)
set(CPACK_BUILD_SOURCE_DIRS ${PROJECT_SOURCE_DIR})
include(CPack)
