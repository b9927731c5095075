"""A classifier of pictures from a camera above a conveyor belt, whose lamp fades and whose driver changes its scale."""
