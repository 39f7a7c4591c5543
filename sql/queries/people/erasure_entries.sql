-- A row is the entry of an erasure that ended with this receipt.
select r.log_id, r.at, r.actor from erasure_records as r
where r.person = %(person)s and r.receipt = %(receipt)s and r.action in ('done', 'applied again')
order by r.log_id
