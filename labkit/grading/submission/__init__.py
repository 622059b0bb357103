"""What students hand in, read: any bytes become cells, each with its part."""
