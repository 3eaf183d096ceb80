# Makes a header that holds a text file: cmake -DINPUT=file -DOUTPUT=header -DNAMESPACE=a::b -DNAME=identifier -P embed.cmake
file(READ "${INPUT}" text)
# A raw string literal may have at most 65,536 bytes for every compiler: pieces are joined by the compiler.
string(LENGTH "${text}" length)
set(pieces "")
set(at 0)
while(at LESS length)
  string(SUBSTRING "${text}" ${at} 15000 piece)
  string(APPEND pieces "R\"~~(${piece})~~\"\n")
  math(EXPR at "${at} + 15000")
endwhile()
# Together they may be longer, which the compilers of the servers take.
file(WRITE "${OUTPUT}.new" "#pragma once\n#include <string_view>\n#pragma GCC diagnostic push\n#pragma GCC diagnostic ignored \"-Woverlength-strings\"\nnamespace ${NAMESPACE} {\ninline constexpr std::string_view ${NAME} =\n${pieces};\n}\n#pragma GCC diagnostic pop\n")
file(COPY_FILE "${OUTPUT}.new" "${OUTPUT}" ONLY_IF_DIFFERENT)
