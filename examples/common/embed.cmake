# Puts the bytes of a file into C:
#   cmake -D IN=FILE -D OUT=FILE.c -D NAME=SYMBOL -P embed.cmake
file(READ "${IN}" bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE "${OUT}" "#include <stddef.h>

extern const unsigned char ${NAME}[];
extern const size_t ${NAME}_len;
const unsigned char ${NAME}[] = {
${bytes}
};
const size_t ${NAME}_len = sizeof ${NAME};
")
