-- The one row has the batch that is live after rolling back to one ($1), and why ($2).
select roll_back($1, $2) as live
