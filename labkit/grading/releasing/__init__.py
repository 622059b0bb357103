"""What makes a student's notebook of a solved one: regions cut, identities kept, leaks refused."""
