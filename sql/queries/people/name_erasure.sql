-- No row: the user id of an open erasure was found by its hash, and is kept until the end.
update open_erasures set about = %(about)s where person = %(person)s and about is null
