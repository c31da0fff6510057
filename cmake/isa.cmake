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

set(FANIN_OPTIMIZE -O3 CACHE STRING "How far to optimize: -O1 compiles faster")
option(FANIN_STRICT "Treat warnings in our own code as errors" OFF)
set(FANIN_CPP ${CMAKE_CURRENT_LIST_DIR}/../cpp)

# Numerics: contraction and fast-math are off everywhere, so that one formula gives one result.
if(MSVC)
  set(FANIN_OPTIONS /fp:precise /permissive- /EHsc)
else()
  set(FANIN_OPTIONS ${FANIN_OPTIMIZE} -ffp-contract=off -fno-math-errno -fno-trapping-math)
  if(FANIN_STRICT)
    list(APPEND FANIN_OPTIONS -Wall -Wextra -Wconversion -Wshadow -Werror)
  endif()
endif()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  set(isas avx512 avx2 scalar)
  if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    list(PREPEND isas amx)  # AVX-512's table with other bf16 kernels
  endif()
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64|ARM64")
  set(isas neon scalar)
else()
  set(isas scalar)
endif()
set(FANIN_ISAS ${isas} CACHE STRING "Instruction sets to compile the kernels for")
if("amx" IN_LIST FANIN_ISAS AND NOT "avx512" IN_LIST FANIN_ISAS)
  message(FATAL_ERROR "FANIN_ISAS: expected avx512 beside amx, got ${FANIN_ISAS}")
endif()
if(NOT FANIN_ISAS)
  message(FATAL_ERROR "FANIN_ISAS: expected some of ${isas}, got none")
endif()

# The scalar table is the definition that the others are compared with. Its Vecs are arrays: to
# inline them everywhere, as the others are, would take minutes to compile.
set(FANIN_FLAGS_scalar -O2 -DFANIN_INLINE=inline)
if(MSVC)
  set(FANIN_FLAGS_avx2 /arch:AVX2)
  set(FANIN_FLAGS_avx512 /arch:AVX512)
else()
  set(FANIN_FLAGS_avx2 -mavx2 -mfma)
  set(FANIN_FLAGS_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma
                         -mprefer-vector-width=512)
endif()
set(FANIN_FLAGS_amx ${FANIN_FLAGS_avx512} -mavx512bf16 -mamx-tile -mamx-bf16)
# GCC's first scheduling pass hoists loads until a tile's accumulators spill.
set(FANIN_FLAGS_neon $<$<CXX_COMPILER_ID:GNU>:-fno-schedule-insns>)

# One object library per instruction set: the only code compiled with its flags.
set(FANIN_ISA_TARGETS)
set(FANIN_ISA_DEFINITIONS)
foreach(isa IN LISTS FANIN_ISAS)
  if(NOT isa IN_LIST isas)
    message(FATAL_ERROR "FANIN_ISAS: expected some of ${isas}, got ${isa}")
  endif()
  add_library(isa_${isa} OBJECT ${FANIN_CPP}/isa/${isa}.cpp)
  if(NOT isa STREQUAL "amx")
    target_sources(isa_${isa} PRIVATE ${FANIN_CPP}/isa/${isa}_image.cpp)
  endif()
  target_include_directories(isa_${isa} PRIVATE ${FANIN_CPP})
  target_compile_options(isa_${isa} PRIVATE ${FANIN_OPTIONS} ${FANIN_FLAGS_${isa}})
  set_target_properties(isa_${isa} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  string(TOUPPER ${isa} upper)
  list(APPEND FANIN_ISA_TARGETS isa_${isa})
  list(APPEND FANIN_ISA_DEFINITIONS FANIN_HAS_${upper})
endforeach()
