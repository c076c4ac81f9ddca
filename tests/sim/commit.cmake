# Writes the commit of SOURCE into the C source TO, which stays as it is where that has not changed.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed OR NOT commit)
  set(commit unknown)
endif()
set(text "#include \"tests/sim/sim.h\"\n\nconst char sim_commit[] = \"${commit}\";\n")
set(before "")
if(EXISTS ${TO})
  file(READ ${TO} before)
endif()
if(NOT before STREQUAL text)
  file(WRITE ${TO} "${text}")
endif()
