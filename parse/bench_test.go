package parse

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkParse reads the largest body of each kind in two ways: by=floor into the
// wire structs with encoding/json alone, by=parse into a verdict. Where PAYLOADS
// names a folder of collected payloads, the largest one there is read instead.
func BenchmarkParse(b *testing.B) {
	type b2cBody struct{ Result result }
	type timeoutBody struct {
		Result result
		result
	}
	for _, kind := range []struct {
		name, file, given string
		parse             func([]byte) (Verdict, error)
		decode            func([]byte) error
	}{
		{"stk", "stk/paid-pretty.json", "stk-*.json", STK, bare[stkBody]},
		{"b2c", "b2c/paid-pretty.json", "b2c-[sf]*.json", B2C, bare[b2cBody]},
		{"timeout", "timeout/envelope-paid.json", "b2c-timeout-*.json", B2CTimeout, bare[timeoutBody]},
	} {
		body := largest(b, filepath.Join("../testdata", kind.file), kind.given)
		measure := func(name string, read func([]byte) error) {
			b.Run(kind.name+"/by="+name, func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for i := 0; i < b.N; i++ {
					if err := read(body); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		measure("floor", kind.decode)
		measure("parse", func(body []byte) error {
			_, err := kind.parse(body)
			return err
		})
	}
}

// largest reads the largest file in PAYLOADS that matches, or else the one of ours.
func largest(b *testing.B, ours, given string) (body []byte) {
	files := []string{ours}
	if folder := os.Getenv("PAYLOADS"); folder != "" {
		files, _ = filepath.Glob(filepath.Join(folder, given))
		if len(files) == 0 {
			b.Fatalf("there is no %s in %s", given, folder)
		}
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		if len(content) > len(body) {
			body = content
		}
	}
	return body
}

func bare[T any](body []byte) error {
	var v T
	return json.Unmarshal(body, &v)
}
