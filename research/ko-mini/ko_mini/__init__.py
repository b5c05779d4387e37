"""The embedded Korean model: trained from nothing, tested and packed. Run: python -m ko_mini"""
