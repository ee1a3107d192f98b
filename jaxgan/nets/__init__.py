"""Networks, one file an architecture, as Flax Linen modules. `networks.from_linen` makes pure functions of them."""
