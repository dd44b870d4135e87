"""Raw data in: where labelled images come from."""
