create or replace function take_turn() returns void
language plpgsql set search_path from current
as $$
begin
    perform limit_lock_waits();
    perform from locks where name = 'flip' for update skip locked;
    if not found then
        raise exception 'another publish or rollback of % is moving the pointer right now', current_schema() using errcode = 'RJ076';
    end if;
end
$$;
comment on function take_turn is 'Be the only one to move this catalog''s pointer until the transaction ends, or fail at once; from then on wait for no lock longer than ten seconds';
revoke all on function take_turn from public;
