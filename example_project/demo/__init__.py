"""`python -m example_project.demo`: the whole example project in one terminal. `make demo` calls it."""
