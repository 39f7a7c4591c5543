create or replace function lock_loading() returns boolean
language plpgsql security definer set search_path from current
as $$
begin
    perform from locks where name = 'load' for update skip locked;
    return found;
end
$$;
comment on function lock_loading is 'Be the only one to load a batch of this catalog until the transaction ends; false: another one is loading';
revoke all on function lock_loading from public;
