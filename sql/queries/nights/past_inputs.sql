-- A row is one accepted night before %(as_of)s, newest first; of several attempts at one as_of the last.
select distinct on (i.as_of) i.batch_id, i.as_of, i.n_accepted, i.input_hash, i.newest
from inputs as i
where i.state = 'accepted' and i.as_of < %(as_of)s
order by i.as_of desc, split_part(i.batch_id, '-', 2)::integer desc
limit 60
