# cmake -DEXAMPLE=config.toml.example -DVERSION=... -DOUT=... -P config_man.cmake
#
# Makes sni-proxy.toml(5) of the example configuration, which explains every key.
file(READ ${EXAMPLE} text)
string(REPLACE "\\" "\\e" text "${text}")
string(REPLACE "-" "\\-" text "${text}")
# Lines that begin with a dot or an apostrophe would be requests of roff.
string(REGEX REPLACE "\n([.'])" "\n\\\\&\\1" text "${text}")
file(WRITE ${OUT} ".TH SNI\\-PROXY.TOML 5 \"\" \"sni\\-proxy ${VERSION}\" \"File Formats\"
.SH NAME
sni\\-proxy.toml \\- configuration of sni\\-proxy
.SH DESCRIPTION
The configuration is TOML. This is the example that comes with the program: every key with its
default, its unit and its reason.
.B sni\\-proxy check
prints the mistakes of a file.
.SH KEYS
.nf
${text}.fi
.SH SEE ALSO
.BR sni\\-proxy (1)
")
