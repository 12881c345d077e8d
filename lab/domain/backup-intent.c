/*
 * What Windows does with FILE_OPEN_FOR_BACKUP_INTENT, for Samba's smbd, which knows the flag and never looks at it.
 *
 * Who opens with the flag and holds SeBackupPrivilege or SeRestorePrivilege gets what these grant, whatever the access
 * list says (MS-FSA 2.1.5.1.2.1), and what was granted to a handle holds for as long as it is open. Without the flag, or
 * without the privileges, nothing changes. Samba's own check takes privileges into account if it is told to
 * (`use_privs`); no caller of its SMB2 code does. Preloaded into smbd, this tells it.
 *
 * Names and parameters are those of Debian's Samba 4.17; what is passed on only is a pointer or an integer here.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define FILE_OPEN_FOR_BACKUP_INTENT 0x4000

static bool opening; /* a file is being opened with the flag */

/* How each handle was opened. smbd gives back the places of those that were closed: there are never very many. */
static struct opened {
	const void *handle;
	bool intent;
} table[65536];
#define PLACES (sizeof(table) / sizeof(table[0]))

static struct opened *found(const void *handle)
{
	size_t at = ((uintptr_t)handle >> 4) % PLACES;
	for (size_t n = 0; n < PLACES; n++, at = (at + 1) % PLACES) {
		if (table[at].handle == handle || table[at].handle == NULL) {
			return &table[at];
		}
	}
	abort();
}

static void *next(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);
	if (found == NULL) {
		abort();
	}
	return found;
}

uint32_t se_file_access_check(const void *descriptor, const void *token, bool privileges, uint32_t desired,
			      uint32_t *granted)
{
	static uint32_t (*real)(const void *, const void *, bool, uint32_t, uint32_t *);
	if (real == NULL) {
		real = next("se_file_access_check");
	}
	return real(descriptor, token, privileges || opening, desired, granted);
}

uint32_t smbd_check_access_rights_fsp(void *folder, void *handle, bool privileges, uint32_t desired)
{
	static uint32_t (*real)(void *, void *, bool, uint32_t);
	if (real == NULL) {
		real = next("smbd_check_access_rights_fsp");
	}
	return real(folder, handle, privileges || opening || found(handle)->intent, desired);
}

uint32_t create_file_default(void *connection, void *request, void *folder, void *name, uint32_t access,
			     uint32_t sharing, uint32_t disposition, uint32_t options, uint32_t attributes,
			     uint32_t oplock, const void *lease, uint64_t allocation, uint32_t flags,
			     void *descriptor, void *extended, void **result, int *info, const void *asked,
			     void *answered)
{
	static uint32_t (*real)(void *, void *, void *, void *, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t,
				uint32_t, const void *, uint64_t, uint32_t, void *, void *, void **, int *,
				const void *, void *);
	if (real == NULL) {
		real = next("create_file_default");
	}
	bool before = opening, intent = options & FILE_OPEN_FOR_BACKUP_INTENT;
	opening = intent;
	uint32_t status = real(connection, request, folder, name, access, sharing, disposition, options, attributes,
			       oplock, lease, allocation, flags, descriptor, extended, result, info, asked, answered);
	opening = before;
	if (status == 0 && *result != NULL) {
		*found(*result) = (struct opened){*result, intent};
	}
	return status;
}

/* Windows asks the handle that is renamed, and Samba the folder as well. */
uint32_t rename_internals_fsp(void *connection, void *handle, void *folder, void *name, const char *last,
			      uint32_t attributes, bool replace)
{
	static uint32_t (*real)(void *, void *, void *, void *, const char *, uint32_t, bool);
	if (real == NULL) {
		real = next("rename_internals_fsp");
	}
	bool before = opening;
	opening = found(handle)->intent;
	uint32_t status = real(connection, handle, folder, name, last, attributes, replace);
	opening = before;
	return status;
}
