import { collection } from '../../client/src/index.ts';

export interface Item {
  id: string;
  title: string;
  done?: boolean;
  size?: number | null;
  address?: { city: string; street?: string };
}
export interface Visit {
  id: string;
  note: string;
}

export const COLLECTIONS = {
  items: collection<Item>({ indexes: ['title', 'address.city'] }),
  visits: collection<Visit>({ scope: 'facility' }),
};
