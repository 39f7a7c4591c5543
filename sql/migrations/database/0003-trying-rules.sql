-- Trying a rule goes through lists one by one: compiling took longer than they do.
alter role recjobs_editor set jit = off;
