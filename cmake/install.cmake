# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts where: the binary, and what is written from its own command tree (man pages and
# completions) or around it (the systemd unit). The target "share" writes those.
include(GNUInstallDirs)
set(share ${CMAKE_BINARY_DIR}/share)

configure_file(${CMAKE_SOURCE_DIR}/packaging/deepwell.service.in ${share}/deepwell.service @ONLY)
add_custom_command(OUTPUT ${share}/stamp
  COMMAND deepwell man --output ${share}/man1
  COMMAND deepwell completions bash > ${share}/deepwell.bash
  COMMAND deepwell completions zsh > ${share}/_deepwell
  COMMAND deepwell completions fish > ${share}/deepwell.fish
  COMMAND ${CMAKE_COMMAND} -E touch ${share}/stamp
  DEPENDS deepwell COMMENT "Writing man pages and completions" VERBATIM)
add_custom_target(share DEPENDS ${share}/stamp)

install(TARGETS deepwell RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${share}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR})
install(FILES ${share}/deepwell.bash RENAME deepwell DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${share}/_deepwell DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${share}/deepwell.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES ${share}/deepwell.service DESTINATION lib/systemd/system)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
