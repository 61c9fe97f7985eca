# Warnings and sanitizers for every target of this project.
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-missing-field-initializers)
if(SNI_SANITIZE)
  add_compile_options(-fsanitize=${SNI_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  # Clang's check of virtual tables opens a pipe to read memory, and treats a process without a free
  # descriptor as broken.
  add_compile_options(-fno-sanitize=vptr)
  add_link_options(-fsanitize=${SNI_SANITIZE})
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-free-nonheap-object>)  # Misjudges the end of a std::expected.
endif()
# GCC 13 takes fmt's growth of a number's buffer for an overflow (Ubuntu 24.04: fmt 9).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION MATCHES "^13[.]")
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-Wno-array-bounds;-Wno-stringop-overflow>")
endif()
# Clang looks into macros of libbpf (LIBBPF_OPTS), and into std::stable_sort of GCC 12.
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-Wno-gnu-statement-expression-from-macro-expansion;\
-Wno-c99-extensions;-Wno-deprecated-declarations>")
endif()
find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()
