"""The embedded Korean-English model: trained from nothing, tested and packed. Run: python -m icl.pretraining"""
