-- No row of use: until this transaction ends, nobody else moves the catalog's pointer.
select take_turn()
