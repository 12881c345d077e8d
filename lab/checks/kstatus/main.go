// Command kstatus says what Flux would say of objects: it reads a JSON list of them from standard input and writes a
// JSON list of {"status", "message"} in the same order to standard output.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type verdict struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if err := judge(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func judge(from io.Reader, to io.Writer) error {
	read, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	// Each object by the decoder that clients use: integers stay integers.
	var raw []json.RawMessage
	if err := json.Unmarshal(read, &raw); err != nil {
		return fmt.Errorf("expected a JSON list of objects: %w", err)
	}
	verdicts := make([]verdict, 0, len(raw))
	for position, one := range raw {
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(one); err != nil {
			return fmt.Errorf("object %d: %w", position, err)
		}
		found, err := status.Compute(object)
		if err != nil {
			return fmt.Errorf("object %d (%s %s): %w", position, object.GetKind(), object.GetName(), err)
		}
		verdicts = append(verdicts, verdict{Status: found.Status.String(), Message: found.Message})
	}
	return json.NewEncoder(to).Encode(verdicts)
}
