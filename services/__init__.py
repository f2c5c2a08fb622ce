"""Everything Decant does, without a browser: no module below imports Streamlit."""
