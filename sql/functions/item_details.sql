create or replace function item_details(item_ids text[])
returns table (known text[], details text[])
language sql stable
begin atomic
    select
        array_agg(i.item_id),
        array_agg(jsonb_strip_nulls(to_jsonb(i) - '{item_id, categories, available, n_users, batch_id}'::text[])::text)
    from items as i
    where i.item_id = any(item_details.item_ids);
end;
comment on function item_details is 'What the API says of some items of the live batch, as JSON objects, in one row of arrays that go together; items it does not know are left out. Nulls: it knows none';
revoke all on function item_details from public;
