// Command verify checks the vectors of the envelope, of secure chat and of conversations with an implementation of its own:
//
//	go -C verify/go run . "$PWD/spec/vectors"
//
// It prints a count for each file, what was skipped and why, and every case that disagrees; then the status is 1.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"posthorn/verify/secure"
)

type report struct {
	agreed         int
	skipped, wrong []string
}

func (r *report) checkFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var file struct{ Cases []Case }
	if err := json.Unmarshal(text, &file); err != nil {
		return err
	}
	name, before := nameOf(path), r.agreed
	for _, c := range file.Cases {
		wrong, lacking := judge(c)
		place := fmt.Sprintf("%s: %v", name, c["name"])
		switch {
		case lacking != nil:
			r.skipped = append(r.skipped, fmt.Sprintf("%s: %v", place, lacking))
		case wrong != "":
			r.wrong = append(r.wrong, fmt.Sprintf("%s: %s", place, wrong))
		default:
			r.agreed++
		}
	}
	fmt.Printf("%s: %d\n", name, r.agreed-before)
	return nil
}

// nameOf a file: those of the envelope and of secure chat have the same names.
func nameOf(path string) string {
	switch folder := filepath.Base(filepath.Dir(path)); folder {
	case "secure", "conversation":
		return folder + "/" + filepath.Base(path)
	}
	return filepath.Base(path)
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: verify FOLDER")
		os.Exit(2)
	}
	paths, _ := filepath.Glob(filepath.Join(os.Args[1], "envelope", "*.json"))
	beside, _ := filepath.Glob(filepath.Join(os.Args[1], "envelope-*.json"))
	ofChats, _ := filepath.Glob(filepath.Join(os.Args[1], "secure", "*.json"))
	ofConversations, _ := filepath.Glob(filepath.Join(os.Args[1], "conversation", "*.json"))
	var r report
	for _, path := range slices.Concat(paths, beside, ofChats, ofConversations) {
		if filepath.Base(path) == "schema.json" {
			continue
		}
		if err := r.checkFile(path); err != nil {
			r.wrong = append(r.wrong, err.Error())
		}
	}
	for _, line := range r.skipped {
		fmt.Println("skipped: " + line)
	}
	for _, line := range r.wrong {
		fmt.Println("wrong: " + line)
	}
	if secure.Unchecked > 0 {
		fmt.Printf("not looked at: the ML-DSA-65 half of %d signatures\n", secure.Unchecked)
	}
	fmt.Printf("%d vectors agree, %d skipped, %d wrong\n", r.agreed, len(r.skipped), len(r.wrong))
	if r.agreed == 0 || len(r.wrong) > 0 {
		os.Exit(1)
	}
}
