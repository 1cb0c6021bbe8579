package arena

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// fileBuffer is how much of a checkpoint is written and read at once. (guess)
const fileBuffer = 256 << 10

// CheckpointFile writes a checkpoint to a file and replaces what was there, as a whole: whoever
// opens the name sees the old file or the new one, also after a crash. It blocks until the disk has
// it, so it is for a thread that may.
func (a *Arena) CheckpointFile(name string) error {
	dir := filepath.Dir(name)
	f, err := os.CreateTemp(dir, filepath.Base(name)+".*.tmp")
	if err != nil {
		return fmt.Errorf("arena: checkpoint: %w", err)
	}
	w := bufio.NewWriterSize(f, fileBuffer)
	err = a.Checkpoint(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("arena: checkpoint %s: %w", name, errors.Join(err, os.Remove(f.Name())))
	}
	return syncDir(dir)
}

// syncDir makes the entries of a folder last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("arena: checkpoint: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("arena: checkpoint: sync %s: %w", dir, err)
	}
	return nil
}

// RestoreFile is Restore from a file.
func RestoreFile(slot []byte, name string, o Options) (*Arena, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("arena: restore: %w", err)
	}
	defer f.Close()
	a, err := Restore(slot, bufio.NewReaderSize(f, fileBuffer), o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return a, nil
}
