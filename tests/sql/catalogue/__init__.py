"""Tables, columns, constraints, types and signatures, as the catalog has them."""
