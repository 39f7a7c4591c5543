create or replace function lock_pruning() returns boolean
language plpgsql set search_path from current
as $$
begin
    -- of the modes that conflict with themselves, the one that loading a batch and moving the pointer do not wait for
    lock table locks in share update exclusive mode nowait;
    return true;
exception when lock_not_available then
    return false;
end
$$;
comment on function lock_pruning is 'Be the only one to prune this catalog until the transaction ends; false: another one is pruning. For the owner';
revoke all on function lock_pruning from public;
