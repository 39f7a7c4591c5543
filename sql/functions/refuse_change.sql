create or replace function refuse_change() returns trigger
language plpgsql set search_path from current
as $$
begin
    raise exception '% is only added to', tg_table_name using errcode = 'RJ065';
end
$$;
comment on function refuse_change is 'Keep what was noted as it was noted';
revoke all on function refuse_change from public;
