# The flags of the kernels and the instruction sets of this processor: the extension module and
# tests/kernels take them from here.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

option(FANIN_STRICT "Treat warnings in our own code as errors" OFF)
set(FANIN_CPP ${CMAKE_CURRENT_LIST_DIR}/../cpp)

# Numerics: contraction and fast-math are off everywhere, so that one formula gives one result.
if(MSVC)
  set(FANIN_OPTIONS /fp:precise /permissive- /EHsc)
else()
  set(FANIN_OPTIONS -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math)
  if(FANIN_STRICT)
    list(APPEND FANIN_OPTIONS -Wall -Wextra -Wconversion -Wshadow -Werror)
  endif()
endif()

set(FANIN_ISAS)
set(FANIN_ISA_TARGETS)
set(FANIN_ISA_DEFINITIONS)

# One object library per instruction set: the only code compiled with its flags.
function(fanin_isa_objects name)
  add_library(isa_${name} OBJECT ${FANIN_CPP}/isa/${name}.cpp ${FANIN_CPP}/isa/${name}_image.cpp)
  target_include_directories(isa_${name} PRIVATE ${FANIN_CPP})
  target_compile_options(isa_${name} PRIVATE ${FANIN_OPTIONS} ${ARGN})
  set_target_properties(isa_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  string(TOUPPER ${name} upper)
  set(FANIN_ISAS ${FANIN_ISAS} ${name} PARENT_SCOPE)
  set(FANIN_ISA_TARGETS ${FANIN_ISA_TARGETS} isa_${name} PARENT_SCOPE)
  set(FANIN_ISA_DEFINITIONS ${FANIN_ISA_DEFINITIONS} FANIN_HAS_${upper} PARENT_SCOPE)
endfunction()

fanin_isa_objects(scalar)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  if(MSVC)
    fanin_isa_objects(avx2 /arch:AVX2)
    fanin_isa_objects(avx512 /arch:AVX512)
  else()
    fanin_isa_objects(avx2 -mavx2 -mfma)
    fanin_isa_objects(avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma
                      -mprefer-vector-width=512)
  endif()
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64|ARM64")
  # GCC's first scheduling pass hoists loads until a tile's accumulators spill.
  fanin_isa_objects(neon $<$<CXX_COMPILER_ID:GNU>:-fno-schedule-insns>)
endif()
