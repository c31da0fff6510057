# Numerics: contraction and fast-math are off everywhere, so that one formula gives one result.
if(MSVC)
  set(FANIN_OPTIONS /fp:precise /permissive- /EHsc)
else()
  set(FANIN_OPTIONS -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math)
  if(FANIN_STRICT)
    list(APPEND FANIN_OPTIONS -Wall -Wextra -Wconversion -Wshadow -Werror)
  endif()
endif()

set(FANIN_ISA_TARGETS)
set(FANIN_ISA_DEFINITIONS)

# One object library per instruction set: the only code compiled with its flags.
function(fanin_isa_objects name)
  add_library(isa_${name} OBJECT cpp/isa/${name}.cpp)
  target_include_directories(isa_${name} PRIVATE cpp)
  target_compile_options(isa_${name} PRIVATE ${FANIN_OPTIONS} ${ARGN})
  set_target_properties(isa_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  string(TOUPPER ${name} upper)
  set(FANIN_ISA_TARGETS ${FANIN_ISA_TARGETS} isa_${name} PARENT_SCOPE)
  set(FANIN_ISA_DEFINITIONS ${FANIN_ISA_DEFINITIONS} FANIN_HAS_${upper} PARENT_SCOPE)
endfunction()
