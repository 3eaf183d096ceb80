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
file(WRITE "${OUTPUT}.new" "#pragma once\n#include <string_view>\nnamespace ${NAMESPACE} {\ninline constexpr std::string_view ${NAME} =\n${pieces};\n}\n")
file(COPY_FILE "${OUTPUT}.new" "${OUTPUT}" ONLY_IF_DIFFERENT)
