"""The demonstration: the attack of July 2022, told as it could have gone."""
