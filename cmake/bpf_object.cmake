# bpf_object(name folder/source.bpf.c): compiles a BPF C program with clang and embeds it as a
# libbpf skeleton. Link <name>_skel and include "<name>.skel.h".
find_program(BPF_CLANG NAMES clang-19 clang-18 clang-17 clang-16 clang REQUIRED)
find_program(BPFTOOL bpftool PATHS /usr/sbin REQUIRED)

# The generated headers of all of them, for tools that read the sources without building.
add_custom_target(skeletons)

function(bpf_object name source)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
  set(skeleton ${CMAKE_CURRENT_BINARY_DIR}/${name}.skel.h)
  # -mcpu=v3: atomic exchange and 32-bit jumps (Linux 5.12). -g: BTF, which CO-RE needs.
  add_custom_command(OUTPUT ${object}
    COMMAND ${BPF_CLANG} -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror
            -I${PROJECT_SOURCE_DIR}/src -isystem /usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
            -MD -MF ${object}.d -MT ${object}
            -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source} DEPFILE ${object}.d
    COMMENT "BPF ${source}" VERBATIM)
  add_custom_command(OUTPUT ${skeleton}
    COMMAND ${BPFTOOL} gen skeleton ${object} name ${name} > ${skeleton}
    DEPENDS ${object} VERBATIM)
  add_custom_target(${name}_skel_header DEPENDS ${skeleton})
  add_dependencies(skeletons ${name}_skel_header)
  add_library(${name}_skel INTERFACE)
  add_dependencies(${name}_skel ${name}_skel_header)
  target_include_directories(${name}_skel SYSTEM INTERFACE ${CMAKE_CURRENT_BINARY_DIR})
  target_link_libraries(${name}_skel INTERFACE PkgConfig::LIBBPF)
endfunction()
