"""Where images come from: public files, photos, files of one's own."""
